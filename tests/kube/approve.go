// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
)

// ApproveKubeletCertificates approves what nodes that are wanted ask for as the certificates of their kubelet endpoints,
// until ctx ends. Kubernetes signs what was approved but has no approver of its own for these.
func ApproveKubeletCertificates(ctx context.Context, client kubernetes.Interface, wanted func(node string) bool) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	approve := func(object any) {
		request, ok := object.(*certificatesv1.CertificateSigningRequest)
		if !ok || request.Spec.SignerName != certificatesv1.KubeletServingSignerName || len(request.Status.Conditions) > 0 {
			return
		}
		if node, err := requestingNode(request); err != nil || !wanted(node) {
			klog.FromContext(ctx).Info("A certificate request is not approved", "name", request.Name, "node", node, "err", err)
			return
		}
		if err := approveRequest(ctx, client, request.Name); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Cannot approve a certificate request", "name", request.Name)
		}
	}
	_, err := factory.Certificates().V1().CertificateSigningRequests().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    approve,
		UpdateFunc: func(_, now any) { approve(now) },
	})
	if err != nil {
		return fmt.Errorf("approve kubelet certificates: %w", err)
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

// requestingNode returns the node that a certificate is for.
func requestingNode(request *certificatesv1.CertificateSigningRequest) (string, error) {
	block, _ := pem.Decode(request.Spec.Request)
	if block == nil {
		return "", errors.New("the request is not PEM")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", err
	}
	node, ok := strings.CutPrefix(parsed.Subject.CommonName, "system:node:")
	if !ok {
		return "", fmt.Errorf("it is for %q, which is no node", parsed.Subject.CommonName)
	}
	return node, nil
}

func approveRequest(ctx context.Context, client kubernetes.Interface, name string) error {
	requests := client.CertificatesV1().CertificateSigningRequests()
	return retry.OnError(retry.DefaultRetry, func(err error) bool { return apierrors.IsConflict(err) }, func() error {
		request, err := requests.Get(ctx, name, metav1.GetOptions{})
		if err != nil || len(request.Status.Conditions) > 0 {
			return err
		}
		request.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Lab", Message: "every node of this cluster is the lab's",
		}}
		_, err = requests.UpdateApproval(ctx, name, request, metav1.UpdateOptions{})
		return err
	})
}
