*** Settings ***
Documentation    What vch inspect, ls and privileges show.

Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up


*** Test Cases ***
Power Off
    [Documentation]    What is wrong with a VCH is said, and a create mends it.
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    Govc    vm.power    -off    ${vm.path}
    ${shown} =    Wolfpack    vch    inspect    ${name}
    Should Contain    ${shown}    its endpoint VM is poweredOff
    ${listed} =    Wolfpack    vch    ls
    Should Contain    ${listed}    ${name}: its endpoint VM is poweredOff
    Wolfpack    vch    create    ${name}
    ${shown} =    Wolfpack    vch    inspect    ${name}
    Should Not Contain    ${shown}    its endpoint VM is poweredOff

Stranger
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    Govc    folder.create    ${vm.folder}/stranger-of-${name}
    ${shown} =    Wolfpack    vch    inspect    ${name}
    Govc    object.destroy    ${vm.folder}/stranger-of-${name}
    Should Match Regexp    ${shown}    (?m)^Not its own +${vm.folder}/stranger-of-${name}$

Privileges
    ${needed} =    Wolfpack    vch    privileges
    Should Match Regexp    ${needed}    (?m)^Network\\.Assign +the network +it alone$

Role
    [Documentation]    The role is made, and made again it is as it was.
    [Tags]    require-stand-in
    ${first} =    Wolfpack    vch    privileges    --create-role\=Wolfpack-Test
    Should Contain    ${first}    role Wolfpack-Test has got
    ${second} =    Wolfpack    vch    privileges    --create-role\=Wolfpack-Test
    Govc    role.remove    Wolfpack-Test
    Should Contain    ${second}    has all privileges that are needed
