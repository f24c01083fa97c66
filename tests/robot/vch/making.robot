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

Planned
    [Documentation]    A dry run says what would be made and where, and makes nothing.
    ${name} =    New VCH Name
    ${plan} =    Wolfpack    vch    create    ${name}    --dry-run
    Should Contain    ${plan}    Nothing has been changed.
    Should Match Regexp    ${plan}    (?m)^\\d+ +VM folder +/.*/${name}, for this VM and those of pods$
    Should Match Regexp    ${plan}    (?m)^\\d+ +endpoint VM +/.*/${name}/${name}, 1 CPUs, 2048 MB, guest "Photon - VCH
    Inventory Should Not Have    ${name}

Made Again From What Inspect Tells
    ${name} =    Create Own VCH    --cpu-limit    800    --endpoint-memory    1024
    ${command} =    Wolfpack    vch    inspect    ${name}    --config
    Wolfpack    vch    delete    ${name}
    Run Printed Command    ${command}
    ${again} =    Wolfpack    vch    inspect    ${name}    --config
    Should Be Equal    ${again}    ${command}

Deleted
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    Wolfpack    vch    delete    ${name}
    Wait Until VM Is Gone    ${vm}
    Inventory Should Not Have    ${name}

Deleted Around A Stranger
    [Documentation]    The VM that somebody has put into the folder stays, with the folder; all else goes, and both are told.
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    ${shown} =    Wolfpack    vch    inspect    ${name}    -o    json
    VAR    ${network} =    ${{ json.loads($shown)['network'] }}
    Govc    vm.create    -on\=false    -net    ${network}    -folder    ${vm.folder}    stranger-of-${name}
    Wolfpack Should Refuse    because of ${vm.folder}/stranger-of-${name}    vch    delete    ${name}
    Wait Until VM Is Gone    ${vm}
    Govc    object.destroy    ${vm.folder}/stranger-of-${name}
    Govc    object.destroy    ${vm.folder}
    Inventory Should Not Have    ${name}
