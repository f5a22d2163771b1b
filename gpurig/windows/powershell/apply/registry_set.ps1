# gpurig: apply/registry_set. One value of the registry.
param(
    [Parameter(Mandatory = $true)] [string] $Path,
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [ValidateSet('dword', 'string')] [string] $Type,
    [Parameter(Mandatory = $true)] $Value
)
if (-not (Test-Path -LiteralPath $Path)) { [void](New-Item -Path $Path -Force) }
$kind = @{ dword = 'DWord'; string = 'String' }[$Type]
[void](New-ItemProperty -LiteralPath $Path -Name $Name -PropertyType $kind -Value $Value -Force)
@{ changed = $true; data = $null }
