# gpurig: apply/logon_right_grant. Adds one account to those that have a right; takes it from nobody.
param(
    [Parameter(Mandatory = $true)] [ValidateSet('SeServiceLogonRight', 'SeBatchLogonRight')] [string] $Right,
    [Parameter(Mandatory = $true)] [string] $Sid
)
$secedit = "$env:SystemRoot\System32\secedit.exe"
$folder = Join-Path ([IO.Path]::GetTempPath()) ('gpurig-' + [Guid]::NewGuid().ToString('N'))
[void](New-Item -ItemType Directory -Path $folder)
try {
    $now = Join-Path $folder 'now.inf'
    $done = Invoke-Native -Path $secedit -Arguments @('/export', '/cfg', $now, '/areas', 'USER_RIGHTS')
    if ($done.code -ne 0) { throw "secedit /export ended with $($done.code)" }
    $line = @(Get-Content -LiteralPath $now | Where-Object { $_ -match "^$Right\s*=" })[0]
    $holders = @()
    if ($line) { $holders = @(($line -split '=', 2)[1] -split ',' | ForEach-Object { $_.Trim() } | Where-Object { $_ }) }
    if ($holders -contains "*$Sid") { return @{ changed = $false; data = $null } }
    $wanted = Join-Path $folder 'wanted.inf'
    $text = "[Unicode]`r`nUnicode=yes`r`n[Version]`r`nsignature=`"`$CHICAGO`$`"`r`nRevision=1`r`n[Privilege Rights]`r`n"
    $text += "$Right = $((@($holders) + "*$Sid") -join ',')`r`n"
    [IO.File]::WriteAllText($wanted, $text, [Text.Encoding]::Unicode)
    $arguments = @('/configure', '/db', (Join-Path $folder 'rights.sdb'), '/cfg', $wanted, '/areas', 'USER_RIGHTS')
    $done = Invoke-Native -Path $secedit -Arguments $arguments
    # 3: done, with warnings, as about an account of the list that is no longer there.
    if ($done.code -notin @(0, 3)) { throw "secedit /configure ended with $($done.code)" }
} finally { Remove-Item -LiteralPath $folder -Recurse -Force }
@{ changed = $true; data = $null }
