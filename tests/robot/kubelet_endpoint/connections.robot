*** Settings ***
Documentation     Connections that stay: to what a pod writes, to its ports, and to the endpoint itself.

Resource          ../../resources/wolfpack.resource

Suite Setup       Start A Pod
Suite Teardown    Run Keywords    Remove Readers    AND    Clean Up

Test Tags         require-sim-guests


*** Test Cases ***
Attached
    [Documentation]    Who is attached sees what the container writes from then on.
    ${lines} =    Attach To Pod    web    lines=2
    Should Match Regexp    ${lines}[0]    ^line \\d+$
    Should Match Regexp    ${lines}[1]    ^line \\d+$

Forwarded Port
    [Documentation]    What is sent to a local port arrives at the pod's, and the answer comes back.
    ${answer} =    Send To Port Of Pod    web    7    knock knock
    Should Be Equal    ${answer}    knock knock

Health Is Public
    Endpoint Answers    /healthz    200

Nothing Else Is Public
    [Template]    Endpoint Answers
    /pods    401
    /stats/summary    401
    /metrics    401
    /metrics/resource    401
    /containerLogs/default/web/main    401
    /exec/default/web/main?command=ls&output=1    401

Statistics With A Token
    [Documentation]    A service account that may read statistics does, and may read nothing else.
    ${token} =    Token That May Get    nodes/stats
    Endpoint Answers    /stats/summary    200    token=${token}
    Endpoint Answers    /metrics    403    token=${token}
    Endpoint Answers    /containerLogs/default/web/main    403    token=${token}


*** Keywords ***
Start A Pod
    [Documentation]    Starts the pod web, which writes a line now and then and returns what its port 7 gets.
    Enter New Namespace
    Apply Pod    web    sim.wolfpack/log-every=200ms    ports=echo:7
    Wait Until Pod Is    web    Running
