# gpurig: apply/task_start. Starts a scheduled task now; one that runs already goes on. Gives it five seconds to fail.
param([Parameter(Mandatory = $true)] [string] $Name)
$cut = $Name.LastIndexOf('\') + 1
$task = @{ TaskPath = $Name.Substring(0, $cut); TaskName = $Name.Substring($cut) }
# A start of what runs may be refused.
if ([int](Get-ScheduledTask @task).State -ne 4) { Start-ScheduledTask @task }
$watch = [Diagnostics.Stopwatch]::StartNew()
do { Start-Sleep -Milliseconds 500 } while ($watch.Elapsed.TotalSeconds -lt 5 -and [int](Get-ScheduledTask @task).State -eq 4)
@{ changed = $true; data = $null }
