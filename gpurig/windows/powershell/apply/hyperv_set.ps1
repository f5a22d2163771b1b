# gpurig: apply/hyperv_set. One rule of ours in the firewall of WSL's virtual machine: a TCP port, from these addresses only.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $Display,
    [Parameter(Mandatory = $true)] [int] $Port,
    [Parameter(Mandatory = $true)] [string[]] $Remote
)
$wsl = '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'
$rule = Get-NetFirewallHyperVRule -Name $Name -ErrorAction SilentlyContinue
if (-not $rule) {
    [void](New-NetFirewallHyperVRule -Name $Name -DisplayName $Display -VMCreatorId $wsl -Direction Inbound -Action Allow -Enabled True `
            -Protocol TCP -LocalPorts $Port -RemoteAddresses $Remote)
} else {
    Set-NetFirewallHyperVRule -Name $Name -NewDisplayName $Display -Direction Inbound -Action Allow -Enabled True `
        -Protocol TCP -LocalPorts $Port -RemoteAddresses $Remote
}
@{ changed = $true; data = $null }
