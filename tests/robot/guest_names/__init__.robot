*** Settings ***
Documentation    Telemetry reads nothing but the guest OS full names of VMs. A wrong name is a pod that is not counted, or
...              a host that is counted as a pod.
