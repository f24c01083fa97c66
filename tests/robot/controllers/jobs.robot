*** Settings ***
Documentation    Jobs count how their pods end: one that is told of a success that was none, or of no end, is worth nothing.

Resource         ../../resources/controllers.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up

Test Tags        require-sim-guests


*** Test Cases ***
Completed
    [Documentation]    Its pods and their VMs stay for whoever wants to read their logs, and go with the Job.
    Apply Job    sum    pods=3    sim.wolfpack/exit-code=0
    Job Should End    sum    Complete
    Controller Field Should Be    job/sum    .status.succeeded    3
    Wait Until Namespace Has VMs    3
    Delete Controller    job/sum
    Wait Until Namespace Has VMs    0

Failed For Good
    [Documentation]    There was one failure more than its limit allows. No further pod is made.
    Apply Job    sum    backoff_limit=0    sim.wolfpack/exit-code=3
    Job Should End    sum    Failed
    Controller Field Should Be    job/sum    .status.conditions[?(@.type\=\="Failed")].reason    BackoffLimitExceeded
    Controller Field Should Be    job/sum    .status.failed    1
    Wait Until Namespace Has VMs    1

Failed By Restarts
    [Documentation]    A container that is restarted in its VM counts as well, by the restarts that its guest reports.
    Apply Job    sum    backoff_limit=1    restart_policy=OnFailure    sim.wolfpack/exit-code=3
    Job Should End    sum    Failed
    Controller Field Should Be    job/sum    .status.conditions[?(@.type\=\="Failed")].reason    BackoffLimitExceeded
    Wait Until Namespace Has VMs    0

Of A CronJob
    Apply Cron Job    nightly    sim.wolfpack/exit-code=0
    Run Cron Job Now    nightly    by-hand
    Job Should End    by-hand    Complete
    Wait Until Namespace Has VMs    1
