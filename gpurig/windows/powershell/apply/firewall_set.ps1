# gpurig: apply/firewall_set. One rule of ours: a TCP port, on all profiles, from these addresses only.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $Display,
    [Parameter(Mandatory = $true)] [int] $Port,
    [Parameter(Mandatory = $true)] [string[]] $Remote
)
$group = 'gpurig'
$rule = Get-NetFirewallRule -Name $Name -ErrorAction SilentlyContinue
if (-not $rule) {
    [void](New-NetFirewallRule -Name $Name -DisplayName $Display -Group $group -Direction Inbound -Action Allow -Enabled True `
            -Profile Any -Protocol TCP -LocalPort $Port -RemoteAddress $Remote)
} else {
    # In place: the rule that lets us in must not be gone for a moment.
    if ($rule.Group -ne $group) {
        $rule.Group = $group
        Set-NetFirewallRule -InputObject $rule
    }
    Set-NetFirewallRule -Name $Name -NewDisplayName $Display -Direction Inbound -Action Allow -Enabled True `
        -Profile Any -Protocol TCP -LocalPort $Port -RemoteAddress $Remote
}
@{ changed = $true; data = $null }
