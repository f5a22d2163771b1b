# gpurig: apply/distribution_move. Stops a distribution and puts its disk into another folder.
param(
    [Parameter(Mandatory = $true)] [string] $Name,
    [Parameter(Mandatory = $true)] [string] $Location
)
Invoke-Paused {
    [void](Invoke-Wsl @('--terminate', $Name))
    [void](Invoke-Wsl @('--manage', $Name, '--move', $Location) -Seconds 86400)
}
@{ changed = $true; data = $null }
