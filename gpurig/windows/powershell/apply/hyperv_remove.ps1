# gpurig: apply/hyperv_remove. Takes out one rule of ours in the firewall of WSL's virtual machine.
param([Parameter(Mandatory = $true)] [string] $Name)
$rule = Get-NetFirewallHyperVRule -Name $Name -ErrorAction SilentlyContinue
if ($rule) { Remove-NetFirewallHyperVRule -Name $Name }
@{ changed = [bool]$rule; data = $null }
