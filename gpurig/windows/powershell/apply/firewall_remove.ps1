# gpurig: apply/firewall_remove. Takes out one rule of ours.
param([Parameter(Mandatory = $true)] [string] $Name)
$rule = Get-NetFirewallRule -Name $Name -ErrorAction SilentlyContinue
if ($rule) { Remove-NetFirewallRule -InputObject $rule }
@{ changed = [bool]$rule; data = $null }
