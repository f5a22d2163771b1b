# gpurig: apply/file_write. Writes a file whole or not at all, power cuts included, if it still is what it was when that was decided.
param(
    [Parameter(Mandatory = $true)] [string] $Path,
    [string] $Content = '',
    [string] $Before = ''
)

function Get-Digest([byte[]] $Bytes) {
    $sha256 = [Security.Cryptography.SHA256]::Create()
    return ([BitConverter]::ToString($sha256.ComputeHash($Bytes)) -replace '-', '').ToLowerInvariant()
}

[byte[]] $bytes = [Convert]::FromBase64String($Content)
$wanted = Get-Digest $bytes
$found = ''
if (Test-Path -LiteralPath $Path -PathType Leaf) { $found = Get-Digest ([IO.File]::ReadAllBytes($Path)) }
if ($found -eq $wanted) { return @{ changed = $false; data = $null } }
if ($found -ne $Before) { throw "$Path has changed since it was read. Run this again." }
$folder = Split-Path -Parent $Path
if (-not (Test-Path -LiteralPath $folder)) { [void](New-Item -ItemType Directory -Path $folder -Force) }
$new = "$Path.gpurig-new"
$stream = New-Object IO.FileStream($new, [IO.FileMode]::Create)
try {
    $stream.Write($bytes, 0, $bytes.Length)
    $stream.Flush($true)
} finally {
    $stream.Dispose()
}
if ($found) {
    # Keeps the file's own rights and attributes.
    [IO.File]::Replace($new, $Path, [NullString]::Value)
} else {
    [IO.File]::Move($new, $Path)
}
@{ changed = $true; data = $null }
