# gpurig: collect/inside. What a distribution says of itself, which starts it where it does not run; and when .wslconfig was changed by us.
param(
    [string] $Distribution = '',
    [int] $Port = 2222,
    [string] $User = '-',
    [string] $Script = '',
    [string] $Note = ''
)
$facts = $null
$lxss = 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss'
$names = @()
if (Test-Path -LiteralPath $lxss) {
    $names = @(Get-ChildItem -LiteralPath $lxss | ForEach-Object { $_.GetValue('DistributionName') })
}
$wsl = Get-WslPath
if ($wsl -and $Distribution -and $names -contains $Distribution) {
    # Not from the folder we are in: it need not be mounted inside.
    $words = @('-d', $Distribution, '--cd', '/', '-u', 'root', '--exec', '/bin/sh', '-s', "$Port", $User)
    # An empty line first: where the console's code page is UTF-8, .NET Framework puts a byte order mark before all that we say.
    $bytes = [Text.Encoding]::UTF8.GetBytes("`n$Script")
    $facts = Invoke-Native -Path $wsl -Arguments $words -Seconds 60 -Bytes $bytes -Environment @{ WSL_UTF8 = '1' }
}
$known = $null
$culture = [Globalization.CultureInfo]::InvariantCulture
if ($Note -and (Test-Path -LiteralPath $Note)) {
    $known = @{
        sha256 = (Get-FileHash -LiteralPath $Note -Algorithm SHA256).Hash.ToLowerInvariant()
        # Whole seconds, as WSL's start is told.
        time   = (Get-Item -LiteralPath $Note).LastWriteTimeUtc.ToString('yyyy-MM-dd\THH\:mm\:ss', $culture) + '+00:00'
    }
}
@{ distribution = $Distribution; facts = $facts; note = $known }
