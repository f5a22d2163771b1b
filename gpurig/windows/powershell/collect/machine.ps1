# gpurig: collect/machine. The PC itself: Windows, its size, who we are on it, and whether it waits for a restart.
$os = Get-CimInstance -ClassName Win32_OperatingSystem
$computer = Get-CimInstance -ClassName Win32_ComputerSystem
$processor = @(Get-CimInstance -ClassName Win32_Processor)[0]
$windows = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$identity = [Security.Principal.WindowsIdentity]::GetCurrent()
$principal = New-Object Security.Principal.WindowsPrincipal $identity
$people = '^S-1-(5-21|12-1)-'

function Get-Time([datetime] $Time) {
    return $Time.ToUniversalTime().ToString('yyyy-MM-dd\THH\:mm\:ss', [Globalization.CultureInfo]::InvariantCulture) + '+00:00'
}

function Get-Account([string] $Sid) {
    # An account that was deleted leaves its profile and has no name.
    try {
        $account = (New-Object Security.Principal.SecurityIdentifier $Sid).Translate([Security.Principal.NTAccount]).Value
        return ($account -split '\\')[-1]
    } catch { return $null }
}

function Get-HypervisorLaunch {
    # Names of elements are the same in every language.
    $done = Invoke-Native -Path "$env:SystemRoot\System32\bcdedit.exe" -Arguments @('/enum', '{current}')
    if ($done.code -ne 0) { return $null }
    $text = [Text.Encoding]::ASCII.GetString([Convert]::FromBase64String($done.out))
    if ($text -match '(?im)^hypervisorlaunchtype\s+(\S+)') { return $Matches[1].ToLowerInvariant() }
    return $null
}

function Test-RebootPending {
    $current = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
    if (Test-Path -LiteralPath "$current\Component Based Servicing\RebootPending") { return $true }
    if (Test-Path -LiteralPath "$current\WindowsUpdate\Auto Update\RebootRequired") { return $true }
    return [bool](Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager' 'PendingFileRenameOperations')
}

$profiles = @(Get-ChildItem -LiteralPath "$windows\ProfileList" | ForEach-Object { $_.PSChildName })
$drives = @{}
foreach ($disk in @(Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType=3')) {
    $drives[$disk.DeviceID.TrimEnd(':')] = @{ size = [int64]$disk.Size; free = [int64]$disk.FreeSpace }
}
@{
    computer                = [string]$computer.Name
    build                   = [int]$os.BuildNumber
    revision                = [int](Get-RegistryValue $windows 'UBR')
    edition                 = [string](Get-RegistryValue $windows 'EditionID')
    architecture            = [string]$env:PROCESSOR_ARCHITECTURE
    powershell              = [string]$PSVersionTable.PSVersion
    language                = [string][Globalization.CultureInfo]::InstalledUICulture.Name
    memory                  = [int64]$computer.TotalPhysicalMemory
    processors              = [int]$computer.NumberOfLogicalProcessors
    boot_time               = Get-Time $os.LastBootUpTime
    now                     = Get-Time ([datetime]::UtcNow)
    user                    = @{
        name    = ($identity.Name -split '\\')[-1]
        sid     = $identity.User.Value
        profile = [string]$env:USERPROFILE
        admin   = $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
        session = [Diagnostics.Process]::GetCurrentProcess().SessionId
    }
    owners                  = @($profiles | Where-Object { $_ -match $people } | ForEach-Object { Get-Account $_ } | Where-Object { $_ })
    domain                  = [bool]$computer.PartOfDomain
    battery                 = @(Get-CimInstance -ClassName Win32_Battery).Count -gt 0
    firmware_virtualization = $(if ($computer.HypervisorPresent) { $null } else { [bool]$processor.VirtualizationFirmwareEnabled })
    hypervisor_present      = [bool]$computer.HypervisorPresent
    hypervisor_launch       = Get-HypervisorLaunch
    reboot_pending          = Test-RebootPending
    drives                  = $drives
}
