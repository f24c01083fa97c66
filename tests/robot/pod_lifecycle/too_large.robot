*** Settings ***
Documentation    The node's capacity is that of its VCH, so Kubernetes itself says that a pod does not fit.

Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
More CPUs Than The VCH Has
    Apply Pod    web    cpu=100k
    Wait Until Pod Says    web    Insufficient cpu
    Pod Field Should Be    web    .status.phase    Pending
    Wait Until Namespace Has VMs    0

More Memory Than The VCH Has
    Apply Pod    web    memory=1Pi
    Wait Until Pod Says    web    Insufficient memory
    Pod Field Should Be    web    .status.phase    Pending
    Wait Until Namespace Has VMs    0
