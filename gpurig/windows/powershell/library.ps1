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
    # A program that hangs before it reads must not hold us, and one that ended without reading has told why: neither is an error here.
    $limit = 1000 * $Seconds
    $told = $true
    try {
        $stream = $process.StandardInput.BaseStream
        if ($Bytes.Length) { $told = $stream.WriteAsync($Bytes, 0, $Bytes.Length).Wait($limit) }
        # Not the writer around it, which has a mind of its own about byte order marks.
        if ($told) { $stream.Close() }
    } catch { $told = $true }
    if ($told -and $process.WaitForExit([Math]::Max(0, $limit - [int]$watch.ElapsedMilliseconds))) {
        $answer.code = $process.ExitCode
    } else {
        # It may end by itself just now.
        try { $process.Kill() } catch { [void]$_ }
    }
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

function ConvertFrom-Native($Done) {
    # A program's words for people. wsl.exe says UTF-16 of its own, Linux UTF-8.
    $words = foreach ($stream in @($Done.out, $Done.err)) {
        $bytes = [Convert]::FromBase64String($stream)
        if ($bytes -contains 0) { [Text.Encoding]::Unicode.GetString($bytes) } else { [Text.Encoding]::UTF8.GetString($bytes) }
    }
    return (($words -join ' ') -replace '\s+', ' ').Trim()
}

function Invoke-Wsl {
    # wsl.exe, or its own words as the error.
    param([string[]] $Arguments, [int] $Seconds = 120)
    $path = Get-WslPath
    if (-not $path) { throw 'WSL is not installed: its package has no wsl.exe here' }
    $done = Invoke-Native -Path $path -Arguments $Arguments -Seconds $Seconds
    if ($done.code -ne 0) { throw "wsl $($Arguments -join ' ') ended with $($done.code): $(ConvertFrom-Native $done)" }
    return $done
}

function Get-Sha256([string] $Path) {
    if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { return '' }
    return (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant()
}

function Confirm-Sha256([string] $Path, [string] $Wanted, [string] $From = $Path) {
    $found = Get-Sha256 $Path
    if (-not $found) { throw "${From}: there is no such file" }
    if ($found -ne $Wanted) { throw "${From}: its SHA-256 is $found, not $Wanted" }
}

function Protect-Folder {
    # Whoever may write what an administrator runs is an administrator; folders of ProgramData can be made by anybody.
    $path = Join-Path $env:ProgramData 'gpurig'
    $trusted = @('S-1-5-18', 'S-1-5-32-544', [Security.Principal.WindowsIdentity]::GetCurrent().User.Value)
    foreach ($folder in @($path, (Join-Path $path 'downloads'))) {
        if (-not (Test-Path -LiteralPath $folder)) { continue }
        $owner = (Get-Acl -LiteralPath $folder).GetOwner([Security.Principal.SecurityIdentifier]).Value
        if ($trusted -notcontains $owner) { throw "$folder belongs to $owner, who could change what an administrator runs; remove it" }
    }
    if (-not (Test-Path -LiteralPath $path)) { [void](New-Item -ItemType Directory -Path $path -Force) }
    $acl = New-Object Security.AccessControl.DirectorySecurity
    $acl.SetAccessRuleProtection($true, $false)
    $acl.SetOwner((New-Object Security.Principal.SecurityIdentifier 'S-1-5-32-544'))
    foreach ($sid in @('S-1-5-18', 'S-1-5-32-544')) {
        $who = New-Object Security.Principal.SecurityIdentifier $sid
        $acl.AddAccessRule((New-Object Security.AccessControl.FileSystemAccessRule $who, 'FullControl', 'ContainerInherit,ObjectInherit', 'None', 'Allow'))
    }
    Set-Acl -LiteralPath $path -AclObject $acl
}

function Invoke-Paused([ScriptBlock] $Work) {
    # The keeper stays away from WSL meanwhile, and is back however this ends.
    Protect-Folder
    $pause = Join-Path $env:ProgramData 'gpurig\keeper.pause'
    [IO.File]::WriteAllText($pause, '')
    try { & $Work } finally { Remove-Item -LiteralPath $pause -Force -ErrorAction SilentlyContinue }
}
