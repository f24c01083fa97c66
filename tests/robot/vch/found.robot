*** Settings ***
Documentation    A VCH is found by vCenter's index of VCHs, whatever becomes of its names and places.

Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up


*** Test Cases ***
Renamed
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    Govc    object.rename    ${vm.path}    other-${name}
    Govc    object.rename    ${vm.folder}    folder-${name}
    VCH Should Be Whole    ${name}

Moved
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    ${lab} =    Endpoint VM
    VAR    ${around} =    ${{ $lab.folder.rpartition('/')[0] }}
    Govc    object.mv    ${vm.path}    ${around}
    VCH Should Be Whole    ${name}

Taken Off The Index
    [Documentation]    As if an older build had made it: who asks for it by its name finds it, and lists it again.
    ${name} =    Create Own VCH
    Govc    tags.rm    -f    -c    wolfpack-vch    ${name}
    VCH Should Be Whole    ${name}
    ${tags} =    Govc    tags.ls    -c    wolfpack-vch
    Should Contain    ${tags}    ${name}
    ${listed} =    Wolfpack    vch    ls
    Should Contain    ${listed}    ${name}

Gone From The Index With The VCH
    ${name} =    Create Own VCH
    Wolfpack    vch    delete    ${name}
    ${tags} =    Govc    tags.ls    -c    wolfpack-vch
    Should Not Contain    ${tags}    ${name}


*** Keywords ***
VCH Should Be Whole
    [Documentation]    Inspect finds it, and nothing is wrong with it.
    [Arguments]    ${name}
    ${shown} =    Wolfpack    vch    inspect    ${name}
    Should Match Regexp    ${shown}    (?m)^State +poweredOn$
    Should Not Contain    ${shown}    Wrong
