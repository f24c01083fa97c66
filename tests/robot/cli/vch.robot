*** Settings ***
Documentation    Creating and deleting virtual container hosts.

Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up


*** Test Cases ***
Created
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    ${listed} =    Wolfpack    vch    ls
    Should Contain    ${listed}    ${name}
    Should Contain    ${vm.path}    /${name}/

Created Twice
    [Documentation]    The second create completes what is there: it is no error and makes nothing twice.
    ${name} =    Create Own VCH
    ${first} =    Endpoint VM    ${name}
    Wolfpack    vch    create    ${name}
    ${second} =    Endpoint VM    ${name}
    Should Be Equal    ${second.reference}    ${first.reference}

Deleted
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    Wolfpack    vch    delete    ${name}
    Wait Until VM Is Gone    ${vm}
    Inventory Should Not Have    ${name}
