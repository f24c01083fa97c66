*** Settings ***
Documentation     Harbor is found by its VM, and its version by asking it, which is done on request alone.

Library           wolfpack_tests.registries.Registries    AS    Registries
Library           wolfpack_tests.telemetry.Telemetry    AS    Telemetry
Resource          ../../resources/wolfpack.resource

Suite Teardown    Stop Registries And Clean Up

Test Tags         require-stand-in


*** Test Cases ***
By Its VM
    Report Should Have Products    0
    Govc    vm.create    -on\=false    -net\=VM Network    harbor-test
    Report Should Have Products    1    name=harbor    vm=harbor-test    source=name    confidence=low
    [Teardown]    Govc    vm.destroy    harbor-test

By Asking It
    ${url} =    Start Harbor    v2.12.1-6abb4eab
    ${asked} =    Report Should Have Products
    ...    1
    ...    --probe
    ...    ${url}
    ...    name=harbor
    ...    version=v2.12.1-6abb4eab
    ...    source=api
    Should Be True    $asked["quality"]["complete"]

Nobody There
    ${url} =    Start Harbor    v2.12.1-6abb4eab
    Stop Registries
    ${report} =    Take Partial Report    --no-events    --probe    ${url}
    Report Should Name Problem    ${report}    products    ${url}


*** Keywords ***
Stop Registries And Clean Up
    [Documentation]    Nothing of a test outlives it.
    Stop Registries
    Clean Up
