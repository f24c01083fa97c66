*** Settings ***
Documentation    vCenter fails, and so does the provider. Kubernetes' users should hear of it as little as possible: no pod
...              is Failed for what passes, none is made twice, none is left over, and work resumes by itself.
