# gpurig: apply/file_remove. Removes a file, if it still is what it was when that was decided.
param(
    [Parameter(Mandatory = $true)] [string] $Path,
    [Parameter(Mandatory = $true)] [string] $Before
)
if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { return @{ changed = $false; data = $null } }
$found = (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant()
if ($found -ne $Before) { throw "$Path has changed since it was read. Run this again." }
Remove-Item -LiteralPath $Path -Force
@{ changed = $true; data = $null }
