# gpurig: apply/distribution_install. Registers a distribution from a file on the PC, without its first questions.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $File,
    [string] $Location = ''
)
# Whatever the user's own default is: WSL 1 has no GPU.
$arguments = @('--install', '--from-file', $File, '--name', $Name, '--version', '2', '--no-launch')
if ($Location) { $arguments += @('--location', $Location) }
$done = Invoke-Wsl $arguments -Seconds 1800
# Its word is not enough: other ways to install end with 0 where nothing was installed yet.
$lxss = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss'
$names = @()
if (Test-Path -LiteralPath $lxss) {
    $names = @(Get-ChildItem -LiteralPath $lxss | Where-Object { $_.GetValue('State') -eq 1 } | ForEach-Object { $_.GetValue('DistributionName') })
}
if ($names -notcontains $Name) { throw "wsl --install registered nothing: $(ConvertFrom-Native $done)" }
@{ changed = $true; data = $null }
