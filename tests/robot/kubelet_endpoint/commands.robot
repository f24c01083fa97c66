*** Settings ***
Documentation     Commands in a pod: their streams, exit codes, arguments and terminal arrive as they were sent.

Resource          ../../resources/wolfpack.resource

Suite Setup       Start A Pod
Suite Teardown    Clean Up

Test Tags         require-sim-guests


*** Test Cases ***
Standard Output
    ${result} =    Run In Pod    web    echo    hello
    Should Be Equal    ${result.stdout}    hello\n
    Should Be Empty    ${result.stderr}

Standard Error
    ${result} =    Run In Pod    web    sh    -c    echo oops >&2
    Should Be Empty    ${result.stdout}
    Should Be Equal    ${result.stderr}    oops\n

Standard Input
    ${result} =    Run In Pod    web    cat    stdin=typed\n
    Should Be Equal    ${result.stdout}    typed\n

Exit Code
    Run In Pod    web    exit    42    expect_rc=42

Arguments Stay Apart
    ${result} =    Run In Pod    web    echo    two words    ü/&\=?    expect_rc=0
    Should Be Equal    ${result.stdout}    two words ü/&=?\n

Unknown Command
    ${result} =    Run In Pod    web    nosuch    expect_rc=127
    Should Contain    ${result.stderr}    nosuch

Unknown Container
    ${result} =    Run In Pod    web    echo    container=nobody    expect_rc=1
    Should Contain    ${result.stderr}    container nobody is not valid for pod web

Terminal
    [Documentation]    A command with a terminal sees the size of the user's.
    ${output} =    Run In Pod With Terminal    web    30    100    stty    size
    Should Contain    ${output}    30 100

Quiet For Longer Than Half A Minute
    [Documentation]    Virtual Kubelet's own endpoint cuts a session that is idle for 30 seconds. This one does not.
    ${result} =    Run In Pod    web    sh    -c    sleep 36; echo still here
    Should Be Equal    ${result.stdout}    still here\n


*** Keywords ***
Start A Pod
    [Documentation]    Starts the pod web and waits until it runs.
    Enter New Namespace
    Apply Pod    web
    Wait Until Pod Is    web    Running
