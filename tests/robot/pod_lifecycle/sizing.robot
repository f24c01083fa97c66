*** Settings ***
Documentation     A pod gets the machine it asks for; VIC computed a size and then made every VM the same.
...               CPUs are rounded up to whole ones, memory to a multiple of 128 MB and to at least 512 MB.

Resource          ../../resources/wolfpack.resource

Suite Setup       Enter New Namespace
Suite Teardown    Clean Up
Test Teardown     Keep Evidence Of Failure
Test Template     Pod Should Get VM Of


*** Test Cases ***     POD        CPU         MEMORY      CPUS    MB
Nothing Asked For      silent     ${EMPTY}    ${EMPTY}    1       512
Less Than The Least    tiny       100m        16Mi        1       512
Exactly                exact      2           1Gi         2       1024
Rounded Up             rounded    1500m       600Mi       2       640


*** Keywords ***
Pod Should Get VM Of
    [Documentation]    A pod with these limits gets a VM of this size.
    [Arguments]    ${name}    ${cpu}    ${memory}    ${cpus}    ${mb}
    Apply Pod    ${name}    cpu=${cpu}    memory=${memory}
    ${vm} =    VM Of Pod    ${name}
    VM Field Should Be    ${vm}    config.hardware.numCPU    ${cpus}
    VM Field Should Be    ${vm}    config.hardware.memoryMB    ${mb}
