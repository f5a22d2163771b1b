# gpurig: apply/profile_set. A connection's category, by which Windows chooses its firewall profile.
param(
    [Parameter(Mandatory = $true)] [string] $Interface,
    [Parameter(Mandatory = $true)] [ValidateSet('private', 'public')] [string] $Category
)
Set-NetConnectionProfile -InterfaceAlias $Interface -NetworkCategory $Category
@{ changed = $true; data = $null }
