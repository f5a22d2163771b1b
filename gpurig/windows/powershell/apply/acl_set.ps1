# gpurig: apply/acl_set. These accounts may do everything with a file or folder, nobody else anything, and nothing comes from the folder above.
param(
    [Parameter(Mandatory = $true)] [string] $Path,
    [Parameter(Mandatory = $true)] [string[]] $Sids
)
if (-not (Test-Path -LiteralPath $Path)) { throw "$Path is not there." }
$folder = Test-Path -LiteralPath $Path -PathType Container
$inherit = if ($folder) { 'ContainerInherit, ObjectInherit' } else { 'None' }
# A new list rather than an edited one: no entry of before can be left, whoever it was for.
$acl = if ($folder) { New-Object Security.AccessControl.DirectorySecurity } else { New-Object Security.AccessControl.FileSecurity }
$acl.SetAccessRuleProtection($true, $false)
foreach ($sid in $Sids) {
    $account = New-Object Security.Principal.SecurityIdentifier($sid)
    $rule = New-Object Security.AccessControl.FileSystemAccessRule($account, 'FullControl', $inherit, 'None', 'Allow')
    $acl.AddAccessRule($rule)
}
# Only the list: Set-Acl would write the owner too, which needs more rights.
$item = Get-Item -LiteralPath $Path -Force
if ($item.PSObject.Methods.Name -contains 'SetAccessControl') {
    $item.SetAccessControl($acl)
} else {
    [IO.FileSystemAclExtensions]::SetAccessControl($item, $acl)
}
@{ changed = $true; data = $null }
