*** Settings ***
Documentation    The endpoint VM says that a virtual container host is here, and which build made it.

Resource         ../../resources/guest_names.resource
Resource         ../../resources/wolfpack.resource

Test Teardown    Clean Up


*** Test Cases ***
Lab's VCH
    ${vm} =    Endpoint VM
    Guest Name Should Be    ${vm}    Photon - VCH

VCHs Side By Side
    ${name} =    Create Own VCH
    ${vm} =    Endpoint VM    ${name}
    Guest Name Should Be    ${vm}    Photon - VCH

Alternate Name Of An Unspecific Guest
    [Documentation]    vCenter shows the alternate name only for guests that are not of a kind it knows.
    ${vm} =    Endpoint VM
    ${name} =    Guest Name Of VM    ${vm}
    VM Field Should Be    ${vm}    config.guestId    otherGuest64
    VM Field Should Be    ${vm}    config.alternateGuestName    ${name}
    VM Field Should Be    ${vm}    config.guestFullName    ${name}
