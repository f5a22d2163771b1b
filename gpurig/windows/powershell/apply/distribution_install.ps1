# gpurig: apply/distribution_install. Registers a distribution from a file on the PC, without its first questions.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $File,
    [string] $Location = ''
)
$arguments = @('--install', '--from-file', $File, '--name', $Name, '--no-launch')
if ($Location) { $arguments += @('--location', $Location) }
$done = Invoke-Wsl $arguments -Seconds 1800
# It ends with 0 too where it only says that Windows must restart first.
$lxss = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss'
$names = @()
if (Test-Path -LiteralPath $lxss) {
    $names = @(Get-ChildItem -LiteralPath $lxss | Where-Object { $_.GetValue('State') -eq 1 } | ForEach-Object { $_.GetValue('DistributionName') })
}
if ($names -notcontains $Name) { throw "wsl --install registered nothing: $(ConvertFrom-Native $done)" }
@{ changed = $true; data = $null }
