# gpurig: apply/file_fetch. Has a file with this SHA-256 at a path: downloaded, or copied from another path on the PC.
param(
    [Parameter(Mandatory = $true)] [string] $Url,
    [Parameter(Mandatory = $true)] [string] $Sha256,
    [Parameter(Mandatory = $true)] [string] $Path
)
if ((Get-Sha256 $Path) -eq $Sha256) { return @{ changed = $false; data = $null } }
if ($Url -eq $Path) { Confirm-Sha256 $Path $Sha256 }
Protect-Folder
$folder = Split-Path -Parent $Path
if (-not (Test-Path -LiteralPath $folder)) { [void](New-Item -ItemType Directory -Path $folder -Force) }
$partial = "$Path.partial"
if ($Url -match '^https://') {
    # curl goes on with what an interrupted download left.
    $arguments = @('--fail', '--location', '--silent', '--show-error', '--proto', '=https', '--retry', '3', '--continue-at', '-')
    $arguments += @('--output', $partial, $Url)
    $done = Invoke-Native -Path "$env:SystemRoot\System32\curl.exe" -Arguments $arguments -Seconds 3600
    # 33 and 36: the server does not go on; 416 is told as 22. What is whole already needs no more.
    if ($done.code -ne 0 -and (Get-Sha256 $partial) -ne $Sha256) {
        if ($done.code -in @(22, 33, 36)) { Remove-Item -LiteralPath $partial -Force -ErrorAction SilentlyContinue }
        throw "${Url}: curl ended with $($done.code): $(ConvertFrom-Native $done)"
    }
} else {
    Copy-Item -LiteralPath $Url -Destination $partial -Force
}
try { Confirm-Sha256 $partial $Sha256 $Url } catch { Remove-Item -LiteralPath $partial -Force -ErrorAction SilentlyContinue; throw }
Move-Item -LiteralPath $partial -Destination $Path -Force
@{ changed = $true; data = $null }
