*** Settings ***
Documentation    Each pod is one VM: it is made when the pod is, tells how the pod fares, and leaves nothing behind.
