# gpurig: apply/distribution_export. Writes all files of a distribution to one new .tar file; stops it for that.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $Path
)
if (Test-Path -LiteralPath $Path) { throw "$Path is there already" }
$folder = Split-Path -Parent $Path
if (-not (Test-Path -LiteralPath $folder)) { [void](New-Item -ItemType Directory -Path $folder -Force) }
$partial = "$Path.partial"
if (Test-Path -LiteralPath $partial) { Remove-Item -LiteralPath $partial -Force }
[void](Invoke-Wsl @('--export', $Name, $partial) -Seconds 86400)
Move-Item -LiteralPath $partial -Destination $Path
@{ changed = $true; data = @{ bytes = [int64](Get-Item -LiteralPath $Path).Length } }
