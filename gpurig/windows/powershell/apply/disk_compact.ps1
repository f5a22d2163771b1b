# gpurig: apply/disk_compact. Gives room that a distribution's disk no longer needs back to Windows; shuts WSL down for that.
param(
    [Parameter(Mandatory = $true)] [string] $Path,
    [Parameter(Mandatory = $true)] [string] $Guid
)
$key = "HKCU:\Software\Microsoft\Windows\CurrentVersion\Lxss\$Guid"
$base = ([string](Get-RegistryValue $key 'BasePath')) -replace '^\\\\\?\\', ''
if (-not $base -or (Split-Path -Parent $Path) -ne $base.TrimEnd('\')) { throw "$Path is not the disk of $Guid" }
$before = (Get-Item -LiteralPath $Path -Force).Length
$script = Join-Path ([IO.Path]::GetTempPath()) ('gpurig-' + [Guid]::NewGuid().ToString('N') + '.txt')
$lines = "select vdisk file=`"$Path`"", 'attach vdisk readonly', 'compact vdisk', 'detach vdisk'
# Whether diskpart reads UTF-16 is nowhere said: only for a path that needs it.
$encoding = if ($Path -match '[^\x00-\x7F]') { [Text.Encoding]::Unicode } else { [Text.Encoding]::ASCII }
[IO.File]::WriteAllLines($script, [string[]]$lines, $encoding)
try {
    $done = Invoke-Paused {
        [void](Invoke-Wsl @('--shutdown'))
        $did = Invoke-Native -Path "$env:SystemRoot\System32\diskpart.exe" -Arguments @('/s', $script) -Seconds 14400
        # What failed left the disk attached, and WSL could not start on it before Windows' next start.
        if ($did.code -ne 0) { [void](Dismount-DiskImage -ImagePath $Path -ErrorAction SilentlyContinue) }
        $did
    }
} finally { Remove-Item -LiteralPath $script -Force }
if ($done.code -ne 0) { throw "diskpart ended with $($done.code): $(ConvertFrom-Native $done)" }
$after = (Get-Item -LiteralPath $Path -Force).Length
@{ changed = $after -lt $before; data = @{ before = [int64]$before; after = [int64]$after } }
