# gpurig: collect/sshd. Windows' own sshd: where it came from, its settings, who may log in as administrator, and its host keys.
$folder = Join-Path $env:ProgramData 'ssh'

function Get-Lines([string] $Path) {
    if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { return }
    return [IO.File]::ReadAllLines($Path) | Where-Object { $_ -ne '' }
}

function Get-Access([string] $Path) {
    if (-not (Test-Path -LiteralPath $Path)) { return $null }
    $acl = Get-Acl -LiteralPath $Path
    $kind = [Security.Principal.SecurityIdentifier]
    $rules = @($acl.GetAccessRules($true, $true, $kind) | Where-Object { [int]$_.AccessControlType -eq 0 })
    return @{
        owner     = [string]$acl.GetOwner($kind).Value
        sids      = @($rules | ForEach-Object { [string]$_.IdentityReference.Value } | Sort-Object -Unique)
        inherited = -not $acl.AreAccessRulesProtected
    }
}

$answer = @{
    source        = ''
    version       = ''
    config        = $null
    default_shell = Get-RegistryValue 'HKLM:\SOFTWARE\OpenSSH' 'DefaultShell'
    admin_keys    = $null
    acl           = $null
    host_keys     = @()
}
$service = Get-CimInstance -ClassName Win32_Service -Filter "Name='sshd'"
if ($service) {
    # Windows' own lies in System32, Microsoft's installer's in Program Files.
    $program = $service.PathName.Trim('"')
    $answer.source = if ($program -like "$env:SystemRoot\System32\*") { 'capability' } else { 'msi' }
    if (Test-Path -LiteralPath $program) { $answer.version = [string](Get-Item -LiteralPath $program).VersionInfo.FileVersion }
}
$config = Join-Path $folder 'sshd_config'
if (Test-Path -LiteralPath $config) { $answer.config = ConvertTo-Base64 ([IO.File]::ReadAllBytes($config)) }
$admins = Join-Path $folder 'administrators_authorized_keys'
if (Test-Path -LiteralPath $admins) {
    $answer.acl = Get-Access $admins
    $answer.admin_keys = @(Get-Lines $admins)
}
foreach ($file in @(Get-ChildItem -LiteralPath $folder -Filter 'ssh_host_*_key.pub' -ErrorAction SilentlyContinue | Sort-Object -Property Name)) {
    foreach ($line in @(Get-Lines $file.FullName)) { $answer.host_keys += ($line.Split(' ')[0, 1] -join ' ') }
}
$answer
