// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// How long the API server's answers are believed, and how long one may take: a kubelet's defaults.
const (
	tokenTTL      = 2 * time.Minute
	allowedTTL    = 5 * time.Minute
	deniedTTL     = 30 * time.Second
	reviewTimeout = 10 * time.Second
)

// healthPath is what anybody may ask.
const healthPath = "/healthz"

// auth says who calls and what they may.
type auth struct {
	authenticator.Request
	authorizer.Authorizer
	node string
}

// newAuth returns an auth that verifies client certificates with the authorities of clients, and asks the API server about
// everything else: by TokenReview whose a bearer token is, and by SubjectAccessReview what a user may.
func newAuth(client kubernetes.Interface, node string, clients dynamiccertificates.CAContentProvider) (*auth, error) {
	retries := &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}
	authn, _, err := authenticatorfactory.DelegatingAuthenticatorConfig{
		TokenAccessReviewClient:            client.AuthenticationV1(),
		TokenAccessReviewTimeout:           reviewTimeout,
		WebhookRetryBackoff:                retries,
		CacheTTL:                           tokenTTL,
		ClientCertificateCAContentProvider: clients,
	}.New()
	if err != nil {
		return nil, err
	}
	authz, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(),
		AllowCacheTTL:             allowedTTL,
		DenyCacheTTL:              deniedTTL,
		WebhookRetryBackoff:       retries,
	}.New()
	if err != nil {
		return nil, err
	}
	return &auth{Request: authn, Authorizer: authz, node: node}, nil
}

// protect lets those through who may do what they ask for.
func (a *auth) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == healthPath {
			next.ServeHTTP(w, r)
			return
		}
		logger := klog.FromContext(r.Context())
		who, ok, err := a.AuthenticateRequest(r)
		if err != nil || !ok {
			logger.V(2).Info("Unauthorized request", "path", r.URL.Path, "from", r.RemoteAddr, "err", err)
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		switch allowed, err := a.allows(r, who.User); {
		case err != nil:
			logger.Error(err, "Cannot ask the API server what a user may", "user", who.User.GetName(), "path", r.URL.Path)
			http.Error(w, "Authorization error", http.StatusInternalServerError)
		case !allowed:
			logger.V(2).Info("Forbidden request", "user", who.User.GetName(), "method", r.Method, "path", r.URL.Path)
			http.Error(w, a.refusal(r, who.User), http.StatusForbidden)
		default:
			next.ServeHTTP(w, r.WithContext(klog.NewContext(r.Context(), logger.WithValues("user", who.User.GetName()))))
		}
	})
}

// allows says whether the user may do one of the things that stand for the request.
func (a *auth) allows(r *http.Request, who user.Info) (bool, error) {
	for _, subresource := range subresources(r.URL.Path) {
		decision, _, err := a.Authorize(r.Context(), authorizer.AttributesRecord{
			User: who, Verb: verb(r.Method), APIVersion: "v1", Resource: "nodes", Subresource: subresource,
			Name: a.node, ResourceRequest: true, Path: r.URL.Path,
		})
		if err != nil {
			return false, err
		}
		if decision == authorizer.DecisionAllow {
			return true, nil
		}
	}
	return false, nil
}

// refusal says which permission would be needed.
func (a *auth) refusal(r *http.Request, who user.Info) string {
	return fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, name=%s, subresource(s)=%v)",
		who.GetName(), verb(r.Method), a.node, subresources(r.URL.Path))
}

// permissions are the subresources of the node that stand for paths, as with Kubernetes 1.35's kubelet: one of them is
// enough. The finer ones let a monitoring agent read without nodes/proxy, which would let it execute commands.
var permissions = []struct {
	path         string
	subresources []string
}{
	{"/pods", []string{"pods", "proxy"}},
	{"/runningpods", []string{"pods", "proxy"}},
	{healthPath, []string{"healthz", "proxy"}},
	{"/configz", []string{"configz", "proxy"}},
	{"/stats", []string{"stats"}},
	{"/metrics", []string{"metrics"}},
	{"/logs", []string{"log"}},
	{"/checkpoint", []string{"checkpoint"}},
	{"/statusz", []string{"statusz"}},
	{"/flagz", []string{"configz"}},
}

func subresources(path string) []string {
	for _, p := range permissions {
		if path == p.path || strings.HasPrefix(path, p.path+"/") {
			return p.subresources
		}
	}
	return []string{"proxy"}
}

// verb is the API's word for a method; empty for one that the API does not have, which no rule but "*" allows.
func verb(method string) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodGet:
		return "get"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	default:
		return ""
	}
}
