*** Settings ***
Documentation    kubectl logs, exec, attach and port-forward work as on any node: the node passes them to the pod's VM.
