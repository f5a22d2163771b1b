# gpurig: apply/task_register. A scheduled task from its definition; an older one of that name is replaced, and goes on if it runs.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $Xml,
    [AllowEmptyString()] [string] $Password
)
$cut = $Name.LastIndexOf('\') + 1
$task = @{ TaskPath = $Name.Substring(0, $cut); TaskName = $Name.Substring($cut); Xml = $Xml; Force = $true }
if ($Password) {
    $sid = ([xml]$Xml).Task.Principals.Principal.UserId
    $task.User = (New-Object Security.Principal.SecurityIdentifier $sid).Translate([Security.Principal.NTAccount]).Value
    $task.Password = $Password
}
[void](Register-ScheduledTask @task)
@{ changed = $true; data = $null }
