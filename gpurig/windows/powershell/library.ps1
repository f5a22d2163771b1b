# gpurig: library. What several scripts need: other programs with their raw output, and where WSL's own program is.

function Join-Arguments([string[]] $Arguments) {
    # As the C runtime takes a command line apart: backslashes count double only before a quotation mark.
    $quoted = foreach ($argument in $Arguments) {
        if ($argument -ne '' -and $argument -notmatch '[\s"]') { $argument; continue }
        '"' + (($argument -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1') + '"'
    }
    return $quoted -join ' '
}

function Invoke-Native {
    # Runs a program without a console. Its output stays bytes: wsl.exe mixes UTF-16 with what Linux says.
    # code is null where it could not be started or did not end in time.
    param([string] $Path, [string[]] $Arguments = @(), [int] $Seconds = 30, [byte[]] $Bytes = @(), [hashtable] $Environment = @{})
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $Path
    $start.Arguments = Join-Arguments $Arguments
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    foreach ($name in $Environment.Keys) { $start.EnvironmentVariables[$name] = $Environment[$name] }
    $watch = [Diagnostics.Stopwatch]::StartNew()
    $process = New-Object System.Diagnostics.Process
    $process.StartInfo = $start
    $answer = @{ code = $null; out = ''; err = ''; seconds = 0.0 }
    try {
        [void]$process.Start()
    } catch {
        $answer.err = ConvertTo-Base64 ([Text.Encoding]::UTF8.GetBytes($_.Exception.Message))
        return $answer
    }
    $out = New-Object System.IO.MemoryStream
    $err = New-Object System.IO.MemoryStream
    $readers = @($process.StandardOutput.BaseStream.CopyToAsync($out), $process.StandardError.BaseStream.CopyToAsync($err))
    if ($Bytes.Length) { $process.StandardInput.BaseStream.Write($Bytes, 0, $Bytes.Length) }
    $process.StandardInput.Close()
    if ($process.WaitForExit(1000 * $Seconds)) { $answer.code = $process.ExitCode } else { $process.Kill() }
    # A daemon that inherited the pipes would keep them open for ever.
    [void][Threading.Tasks.Task]::WaitAll($readers, 2000)
    $answer.out = ConvertTo-Base64 $out.ToArray()
    $answer.err = ConvertTo-Base64 $err.ToArray()
    $answer.seconds = [Math]::Round($watch.Elapsed.TotalSeconds, 2)
    return $answer
}

function ConvertTo-Base64([byte[]] $Bytes) {
    if ($null -eq $Bytes -or $Bytes.Length -eq 0) { return '' }
    return [Convert]::ToBase64String($Bytes)
}

function Get-WslPath {
    # Never System32's: it is a stub that fails where nobody is logged on.
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Lxss\MSI'
    $folders = @()
    if (Test-Path -LiteralPath $key) { $folders += (Get-ItemProperty -LiteralPath $key).InstallLocation }
    $folders += Join-Path $env:ProgramFiles 'WSL'
    foreach ($folder in $folders) {
        if ($folder -and (Test-Path -LiteralPath (Join-Path $folder 'wsl.exe'))) { return Join-Path $folder 'wsl.exe' }
    }
    return $null
}

function Get-RegistryValue([string] $Path, [string] $Name) {
    if (-not (Test-Path -LiteralPath $Path)) { return $null }
    $key = Get-Item -LiteralPath $Path
    if ($key.GetValueNames() -notcontains $Name) { return $null }
    return $key.GetValue($Name)
}
