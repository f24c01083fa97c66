*** Settings ***
Documentation    What Kubernetes says of a pod is what its guest and its VM say, and nothing else.
