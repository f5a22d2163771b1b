# gpurig: collect/symptoms. What only the doctor asks: sessions, log-offs, wake-ups, memory, and whether files can be fetched.
param([string[]] $Urls = @())

function Get-LastEvent([hashtable] $Filter) {
    # By provider and number: no language has a say in it.
    $found = @(Get-WinEvent -FilterHashtable $Filter -MaxEvents 1 -ErrorAction SilentlyContinue)
    if ($found.Count -eq 0) { return $null }
    return $found[0].TimeCreated.ToUniversalTime().ToString('yyyy-MM-dd\THH\:mm\:ss', [Globalization.CultureInfo]::InvariantCulture) + '+00:00'
}

function Get-Answer([string] $Url) {
    try {
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
        $asked = [Net.WebRequest]::Create($Url)
        $asked.Method = 'HEAD'
        $asked.Timeout = 5000
        $said = $asked.GetResponse()
        $code = [string][int]$said.StatusCode
        $said.Close()
        return $code
    } catch {
        $problem = $_.Exception
        while ($problem.InnerException) { $problem = $problem.InnerException }
        if ($problem.Response) { return [string][int]$problem.Response.StatusCode }
        return '0x{0:X8}' -f $problem.HResult
    }
}

# WSL's relay starts with its VM: in a person's session where a person started that, in session 0 where a task or SSH did.
$me = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
$relays = @(Get-CimInstance -ClassName Win32_Process -Filter "Name = 'wslrelay.exe'" | Sort-Object -Property CreationDate)
$relays = @($relays | Where-Object { (Invoke-CimMethod -InputObject $_ -MethodName GetOwnerSid).Sid -eq $me })
$machines = @(Get-Process -Name @('vmmemWSL', 'vmmem') -ErrorAction SilentlyContinue)
$answers = @{}
foreach ($url in @($Urls | Where-Object { $_ })) { $answers[$url] = Get-Answer $url }
$disabled = Get-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters' 'DisabledComponents'
$winrm = Get-Service -Name WinRM -ErrorAction SilentlyContinue
@{
    session         = if ($relays.Count) { [int]$relays[0].SessionId } else { $null }
    logoff          = Get-LastEvent @{ LogName = 'System'; ProviderName = 'Microsoft-Windows-Winlogon'; Id = 7002 }
    woke            = Get-LastEvent @{ LogName = 'System'; ProviderName = 'Microsoft-Windows-Power-Troubleshooter'; Id = 1 }
    memory_free     = [int64](Get-CimInstance -ClassName Win32_OperatingSystem).FreePhysicalMemory * 1024
    vm_memory       = if ($machines.Count) { [int64]($machines | Measure-Object -Property WorkingSet64 -Sum).Sum } else { $null }
    # A DWORD comes with its sign: 0xFFFFFFFF is -1.
    ipv6_components = if ($null -eq $disabled) { 0 } else { [int64]$disabled -band 4294967295 }
    winrm           = if ($winrm) { ([string]$winrm.Status).ToLowerInvariant() } else { '' }
    answers         = $answers
}
