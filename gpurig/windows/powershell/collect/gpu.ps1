# gpurig: collect/gpu. The GPU as Windows sees it. WSL has no driver of its own: what is wrong here is wrong there.
$places = @(
    (Join-Path $env:SystemRoot 'System32\nvidia-smi.exe'),
    (Join-Path $env:ProgramFiles 'NVIDIA Corporation\NVSMI\nvidia-smi.exe')
)
$system = $places | Where-Object { Test-Path -LiteralPath $_ } | Select-Object -First 1
$smi = $null
if ($system) {
    $fields = '--query-gpu=name,driver_version,driver_model.current'
    $smi = Invoke-Native -Path $system -Arguments @($fields, '--format=csv,noheader') -Seconds 20
}
@{
    system   = $system
    smi      = $smi
    adapters = @(foreach ($one in @(Get-CimInstance -ClassName Win32_VideoController)) {
            @{ name = [string]$one.Name; version = [string]$one.DriverVersion; state = [int]$one.ConfigManagerErrorCode }
        })
}
