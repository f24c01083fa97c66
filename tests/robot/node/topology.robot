*** Settings ***
Documentation    Where a node is, it says in Kubernetes' words by tags of vSphere, so that pods can be spread and gathered.

Resource         ../../resources/wolfpack.resource
Library          wolfpack_tests.nodes.Nodes    AS    Nodes

Test Teardown    Run Keywords    Remove Categories    AND    Clean Up

Test Tags        require-stand-in


*** Variables ***
${ZONE}      .metadata.labels.topology\\.kubernetes\\.io/zone
${REGION}    .metadata.labels.topology\\.kubernetes\\.io/region


*** Test Cases ***
Zone And Region
    [Documentation]    The region is that of the datacenter, and the zone the nearer one: that of the VCH's own host.
    ${vch} =    Create Own VCH    --compute    DC0_H0
    Tag    k8s-region    east    /DC0
    Tag    k8s-zone    east-0    /DC0
    Tag Again    k8s-zone    east-1    /DC0/host/DC0_H0
    ${node} =    Start Own Node    ${vch}
    Wait Until Node Field Is    ${node}    ${ZONE}    east-1
    Wait Until Node Field Is    ${node}    ${REGION}    east


*** Keywords ***
Tag
    [Documentation]    Gives an object a new tag of a new category.
    [Arguments]    ${category}    ${tag}    ${object}
    Govc    tags.category.create    ${category}
    Tag Again    ${category}    ${tag}    ${object}

Tag Again
    [Documentation]    Gives an object a new tag of a category that is there.
    [Arguments]    ${category}    ${tag}    ${object}
    Govc    tags.create    -c    ${category}    ${tag}
    Govc    tags.attach    ${tag}    ${object}

Remove Categories
    [Documentation]    Takes away the tags, and so their use.
    Govc    tags.category.rm    -f    k8s-zone
    Govc    tags.category.rm    -f    k8s-region
