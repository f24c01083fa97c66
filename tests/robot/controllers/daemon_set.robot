*** Settings ***
Documentation    DaemonSets are for machines that need an agent. A virtual node gets a pod of one that says that it means it,
...              and of no other: each would be a VM.

Resource         ../../resources/controllers.resource
Resource         ../../resources/wolfpack.resource

Test Setup       Enter New Namespace
Test Teardown    Clean Up


*** Test Cases ***
That Tolerates The Node's Taint
    Apply Daemon Set    agent    tolerates=virtual-kubelet.io/provider=wolfpack:NoSchedule
    ${pod}    ${vm} =    Only Pod Of    agent
    Should Start With    ${vm.name}    ${pod.name}

That Does Not Know Of Virtual Nodes
    Apply Daemon Set    agent    tolerates=${EMPTY}
    Wait Until Controller Field Is    daemonset/agent    .status.observedGeneration    1
    Controller Field Should Be    daemonset/agent    .status.desiredNumberScheduled    0
    Wait Until Namespace Has VMs    0
