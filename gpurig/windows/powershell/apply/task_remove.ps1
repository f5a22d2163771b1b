# gpurig: apply/task_remove. Ends and takes out one scheduled task of ours.
param([Parameter(Mandatory = $true)] [string] $Name)
$cut = $Name.LastIndexOf('\') + 1
$task = @{ TaskPath = $Name.Substring(0, $cut); TaskName = $Name.Substring($cut) }
$found = Get-ScheduledTask @task -ErrorAction SilentlyContinue
if ($found) {
    Stop-ScheduledTask @task -ErrorAction SilentlyContinue
    Unregister-ScheduledTask @task -Confirm:$false
}
@{ changed = [bool]$found; data = $null }
