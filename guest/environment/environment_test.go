// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	yes, no = true, false
	nobody  = map[string]string{}
)

func source() Source {
	return Source{
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "web", UID: "u-1",
				Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"Example.com/Note": "hello"},
			},
			Spec: corev1.PodSpec{
				NodeName: "virtual", ServiceAccountName: "clerk", EnableServiceLinks: &no,
				InitContainers: []corev1.Container{{Name: "init"}},
				Containers: []corev1.Container{{Name: "app"}, {Name: "side", Resources: corev1.ResourceRequirements{
					Requests: list("250m", "64Mi"), Limits: list("1500m", "100M"),
				}}},
			},
		},
		PodIPs: []string{"10.0.0.7", "fd00::7"}, HostIPs: []string{"192.0.2.1", "2001:db8::1"},
		Allocatable: list("3", "2Gi"),
		ConfigMaps:  map[string]*corev1.ConfigMap{"conf": {Data: map[string]string{"color": "blue", "a-b.c": "odd"}}},
		Secrets:     map[string]*corev1.Secret{"db": {Data: map[string][]byte{"password": []byte("hunter2"), "color": []byte("red")}}},
	}
}

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func resolve(t *testing.T, s Source, c corev1.Container) (map[string]string, []Problem) {
	t.Helper()
	variables, problems := Resolve(&c, s)
	values := map[string]string{}
	last := ""
	for _, v := range variables {
		require.Less(t, last, v.Name, "sorted, and each name once")
		last = v.Name
		values[v.Name] = v.Value
	}
	return values, problems
}

func fromField(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}
}

func fromResource(container, name, divisor string) *corev1.EnvVarSource {
	ref := &corev1.ResourceFieldSelector{ContainerName: container, Resource: name}
	if divisor != "" {
		ref.Divisor = resource.MustParse(divisor)
	}
	return &corev1.EnvVarSource{ResourceFieldRef: ref}
}

func fromConfigMap(name, key string, optional *bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional,
	}}
}

func fromSecret(name, key string, optional *bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional,
	}}
}

func allOf(prefix, configMap, secret string, optional *bool) corev1.EnvFromSource {
	from := corev1.EnvFromSource{Prefix: prefix}
	if configMap != "" {
		from.ConfigMapRef = &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}, Optional: optional}
	} else {
		from.SecretRef = &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Optional: optional}
	}
	return from
}

// Each row is one value of a variable called X.
func TestValues(t *testing.T) {
	for name, tc := range map[string]struct {
		from *corev1.EnvVarSource
		want string
	}{
		"name":                       {fromField("metadata.name"), "web"},
		"namespace":                  {fromField("metadata.namespace"), "shop"},
		"uid":                        {fromField("metadata.uid"), "u-1"},
		"label":                      {fromField("metadata.labels['app']"), "web"},
		"no such label":              {fromField("metadata.labels['nothing']"), ""},
		"annotation, in any case":    {fromField("metadata.annotations['Example.com/Note']"), "hello"},
		"node":                       {fromField("spec.nodeName"), "virtual"},
		"node, as long ago":          {fromField("spec.host"), "virtual"},
		"service account":            {fromField("spec.serviceAccountName"), "clerk"},
		"pod's address":              {fromField("status.podIP"), "10.0.0.7"},
		"pod's addresses":            {fromField("status.podIPs"), "10.0.0.7,fd00::7"},
		"host's address":             {fromField("status.hostIP"), "192.0.2.1"},
		"host's addresses":           {fromField("status.hostIPs"), "192.0.2.1,2001:db8::1"},
		"own limit: the machine's":   {fromResource("", "limits.cpu", ""), "3"},
		"own limit in another unit":  {fromResource("", "limits.memory", "1Mi"), "2048"},
		"own request: none":          {fromResource("", "requests.cpu", ""), "0"},
		"a limit is rounded up":      {fromResource("side", "limits.cpu", ""), "2"},
		"a limit in thousandths":     {fromResource("side", "limits.cpu", "1m"), "1500"},
		"a limit of memory":          {fromResource("side", "limits.memory", "1Mi"), "96"},
		"a request":                  {fromResource("side", "requests.memory", ""), "67108864"},
		"an init container's limit":  {fromResource("init", "limits.memory", ""), "0"},
		"no ephemeral storage known": {fromResource("", "limits.ephemeral-storage", ""), "0"},
		"huge pages":                 {fromResource("", "limits.hugepages-2Mi", ""), "0"},
		"key of a ConfigMap":         {fromConfigMap("conf", "color", nil), "blue"},
		"key of a Secret":            {fromSecret("db", "password", nil), "hunter2"},
		"no source":                  {nil, ""},
	} {
		values, problems := resolve(t, source(), corev1.Container{Env: []corev1.EnvVar{{Name: "X", ValueFrom: tc.from}}})
		require.Empty(t, problems, name)
		require.Equal(t, map[string]string{"X": tc.want}, values, name)
	}
}

func TestPodLevelLimit(t *testing.T) {
	s := source()
	s.Pod.Spec.Resources = &corev1.ResourceRequirements{Limits: list("2", "1Gi")}
	values, problems := resolve(t, s, corev1.Container{Env: []corev1.EnvVar{{Name: "X", ValueFrom: fromResource("", "limits.memory", "1Mi")}}})
	require.Empty(t, problems)
	require.Equal(t, "1024", values["X"])
}

func TestProblems(t *testing.T) {
	missingMap := `configmap "none" not found`
	for name, tc := range map[string]struct {
		container corev1.Container
		want      Problem
	}{
		"ConfigMap":          {env(fromConfigMap("none", "k", nil)), Problem{"MandatoryConfigMapNotFound", missingMap, true}},
		"optional ConfigMap": {env(fromConfigMap("none", "k", &yes)), Problem{"OptionalConfigMapNotFound", missingMap, false}},
		"Secret":             {env(fromSecret("none", "k", &no)), Problem{"MandatorySecretNotFound", `secret "none" not found`, true}},
		"optional Secret":    {env(fromSecret("none", "k", &yes)), Problem{"OptionalSecretNotFound", `secret "none" not found`, false}},
		"key":                {env(fromConfigMap("conf", "k", nil)), Problem{"MandatoryConfigMapKeyNotFound", "couldn't find key k in ConfigMap shop/conf", true}},
		"optional key":       {env(fromSecret("db", "k", &yes)), Problem{"OptionalSecretKeyNotFound", "couldn't find key k in Secret shop/db", false}},
		"all of a ConfigMap": {corev1.Container{EnvFrom: []corev1.EnvFromSource{allOf("", "none", "", nil)}}, Problem{"MandatoryConfigMapNotFound", missingMap, true}},
		"all of a Secret":    {corev1.Container{EnvFrom: []corev1.EnvFromSource{allOf("", "", "none", &yes)}}, Problem{"OptionalSecretNotFound", `secret "none" not found`, false}},
		"field":              {env(fromField("status.phase")), Problem{ReasonInvalidReference, "unsupported fieldPath: status.phase", true}},
		"version": {
			env(&corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v2", FieldPath: "metadata.name"}}),
			Problem{ReasonInvalidReference, "unsupported pod version: v2", true},
		},
		"subscript":    {env(fromField("spec['x']")), Problem{ReasonInvalidReference, `fieldPath "spec" does not support subscript`, true}},
		"resource":     {env(fromResource("", "limits.gpu", "")), Problem{ReasonInvalidReference, "unsupported container resource: limits.gpu", true}},
		"no such kind": {env(fromResource("", "dreams.cpu", "")), Problem{ReasonInvalidReference, "unsupported container resource: dreams.cpu", true}},
		"container":    {env(fromResource("nobody", "limits.cpu", "")), Problem{ReasonInvalidReference, "container nobody not found", true}},
	} {
		values, problems := resolve(t, source(), tc.container)
		require.Equal(t, []Problem{tc.want}, problems, name)
		require.Equal(t, nobody, values, name)
	}
	_, problems := resolve(t, source(), corev1.Container{Env: []corev1.EnvVar{
		{Name: "A", ValueFrom: fromSecret("none", "a", nil)}, {Name: "B", ValueFrom: fromSecret("none", "b", nil)},
	}})
	require.Len(t, problems, 1, "one missing Secret is one problem")
}

func env(from *corev1.EnvVarSource) corev1.Container {
	return corev1.Container{Env: []corev1.EnvVar{{Name: "X", ValueFrom: from}}}
}

func TestPrecedence(t *testing.T) {
	s := source()
	s.Pod.Spec.EnableServiceLinks = nil
	s.Services = []*corev1.Service{service("shop", "db", "10.96.0.2", corev1.ServicePort{Port: 5432})}
	values, problems := resolve(t, s, corev1.Container{
		EnvFrom: []corev1.EnvFromSource{allOf("", "conf", "", nil), allOf("", "", "db", nil), allOf("P_", "conf", "", nil), allOf("", "gone", "", &yes)},
		Env: []corev1.EnvVar{
			{Name: "FIRST", Value: "$(SECOND) $(color) $$(color) $(DB_SERVICE_HOST) $(nothing) $("},
			{Name: "SECOND", Value: "2"},
			{Name: "SECOND", Value: "again $(SECOND)"},
			{Name: "DB_SERVICE_PORT", Value: "1"},
			{Name: "password", ValueFrom: fromSecret("none", "k", &yes)},
			{Name: "EMPTY"},
		},
	})
	require.Equal(t, []string{"OptionalConfigMapNotFound", "OptionalSecretNotFound"}, reasons(problems))
	want := map[string]string{
		"FIRST": "$(SECOND) red $(color) 10.96.0.2 $(nothing) $(", "SECOND": "again 2", "EMPTY": "",
		"color": "red", "password": "hunter2", "a-b.c": "odd", "P_color": "blue", "P_a-b.c": "odd",
		"DB_SERVICE_HOST": "10.96.0.2", "DB_SERVICE_PORT": "1", "DB_PORT": "tcp://10.96.0.2:5432", "DB_PORT_5432_TCP": "tcp://10.96.0.2:5432",
		"DB_PORT_5432_TCP_PROTO": "tcp", "DB_PORT_5432_TCP_PORT": "5432", "DB_PORT_5432_TCP_ADDR": "10.96.0.2",
	}
	require.Equal(t, want, values)
}

func reasons(problems []Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Reason)
	}
	return all
}

func service(namespace, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{ClusterIP: ip, Ports: ports},
	}
}

func TestServices(t *testing.T) {
	api := service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP})
	own := service("shop", "kubernetes", "10.96.9.9", corev1.ServicePort{Port: 1})
	names := service("shop", "dns-a", "fd00::53", corev1.ServicePort{Name: "dns-udp", Port: 53, Protocol: corev1.ProtocolUDP}, corev1.ServicePort{Name: "web", Port: 80})
	others := []*corev1.Service{
		service("bank", "vault", "10.96.0.3", corev1.ServicePort{Port: 1}), service("shop", "headless", corev1.ClusterIPNone, corev1.ServicePort{Port: 1}),
		service("shop", "external", "", corev1.ServicePort{Port: 1}), service("shop", "portless", "10.96.0.4"),
	}
	for name, tc := range map[string]struct {
		links    *bool
		services []*corev1.Service
		want     map[string]string
	}{
		"no links: the API server's": {&no, []*corev1.Service{api, names}, map[string]string{
			"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
			"KUBERNETES_PORT": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
			"KUBERNETES_PORT_443_TCP_PORT": "443", "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
		}},
		"two ports, IPv6": {&yes, []*corev1.Service{names}, map[string]string{
			"DNS_A_SERVICE_HOST": "fd00::53", "DNS_A_SERVICE_PORT": "53", "DNS_A_SERVICE_PORT_DNS_UDP": "53", "DNS_A_SERVICE_PORT_WEB": "80",
			"DNS_A_PORT": "udp://[fd00::53]:53", "DNS_A_PORT_53_UDP": "udp://[fd00::53]:53", "DNS_A_PORT_53_UDP_PROTO": "udp",
			"DNS_A_PORT_53_UDP_PORT": "53", "DNS_A_PORT_53_UDP_ADDR": "fd00::53", "DNS_A_PORT_80_TCP": "tcp://[fd00::53]:80",
			"DNS_A_PORT_80_TCP_PROTO": "tcp", "DNS_A_PORT_80_TCP_PORT": "80", "DNS_A_PORT_80_TCP_ADDR": "fd00::53",
		}},
		"others do not count": {&yes, others, map[string]string{"PORTLESS_SERVICE_HOST": "10.96.0.4"}},
	} {
		s := source()
		s.Pod.Spec.EnableServiceLinks, s.Services = tc.links, tc.services
		values, problems := resolve(t, s, corev1.Container{})
		require.Empty(t, problems, name)
		require.Equal(t, tc.want, values, name)
	}
	for _, both := range [][]*corev1.Service{{api, own}, {own, api}} {
		s := source()
		s.Pod.Spec.EnableServiceLinks, s.Services = nil, both
		values, _ := resolve(t, s, corev1.Container{})
		require.Equal(t, "10.96.9.9", values["KUBERNETES_SERVICE_HOST"], "the pod's own namespace comes first")
	}
	require.Equal(t, names.Spec.Ports, ServiceOf(names).Spec.Ports)
}

func TestFiles(t *testing.T) {
	ref := func(optional *bool) corev1.Container {
		return env(&corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: "v", Path: "p", Key: "k", Optional: optional}})
	}
	read := func(value string, err error) Source {
		s := source()
		s.File = func(volume, path, key string) (string, error) {
			require.Equal(t, "v p k", volume+" "+path+" "+key)
			return value, err
		}
		return s
	}
	values, problems := resolve(t, source(), ref(nil))
	require.Empty(t, problems, "nothing is mounted yet")
	require.Equal(t, nobody, values)
	values, problems = resolve(t, read("there", nil), ref(nil))
	require.Empty(t, problems)
	require.Equal(t, "there", values["X"])
	values, problems = resolve(t, read("", nil), ref(&yes))
	require.Empty(t, problems)
	require.Equal(t, nobody, values)
	_, problems = resolve(t, read("", nil), ref(nil))
	require.Equal(t, []Problem{{ReasonInvalidReference, `environment variable key "k" not found in file "p"`, true}}, problems)
	_, problems = resolve(t, read("", errors.New("no such file")), ref(&yes))
	require.Equal(t, []Problem{{ReasonInvalidReference, "couldn't parse env file", true}}, problems)
}

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"A": "1", "": "nameless", "B": "$(A)", "A(": "odd"}[name]
		return value, ok
	}
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$(A)": "1", "x$(A)y$(A)": "x1y1", "$(B)": "$(A)", "$(C)": "$(C)", "$$(A)": "$(A)", "$$$(A)": "$1", "$$$$": "$$",
		"$": "$", "$$": "$", "a$": "a$", "$(": "$(", "$(A": "$(A", "$()": "nameless", "$A": "$A", "$ (A)": "$ (A)", "$($(A)": "$($(A)",
		"$(A()": "odd", "${A}": "${A}", "$ü$(A)": "$ü1", "$($$(A)": "$($$(A)",
	} {
		require.Equal(t, want, expand(text, lookup), text)
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("$(A) $$ $( $")
	f.Fuzz(func(t *testing.T, text string) {
		known := func(string) (string, bool) { return "", false }
		if !strings.Contains(text, "$") {
			require.Equal(t, text, expand(text, known))
		}
		require.Equal(t, text, expand(strings.ReplaceAll(text, "$", "$$"), known), "what is escaped comes out as it was")
		require.LessOrEqual(t, len(expand(text, known)), len(text), "unknown names stay")
	})
}

func TestVolumes(t *testing.T) {
	s := source()
	s.ConfigMaps["conf"].BinaryData = map[string][]byte{"logo": {1}}
	items := func(keys ...string) (all []corev1.KeyToPath) {
		for _, key := range keys {
			all = append(all, corev1.KeyToPath{Key: key, Path: key})
		}
		return all
	}
	name := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	ofMap := func(c corev1.ConfigMapVolumeSource) corev1.VolumeSource { return corev1.VolumeSource{ConfigMap: &c} }
	ofSecret := func(c corev1.SecretVolumeSource) corev1.VolumeSource { return corev1.VolumeSource{Secret: &c} }
	projected := func(parts ...corev1.VolumeProjection) corev1.VolumeSource {
		return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: parts}}
	}
	for what, tc := range map[string]struct {
		volume corev1.VolumeSource
		want   string
	}{
		"neither":             {corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}, ""},
		"all there":           {ofMap(corev1.ConfigMapVolumeSource{LocalObjectReference: name("conf"), Items: items("color", "logo")}), ""},
		"a Secret that is":    {ofSecret(corev1.SecretVolumeSource{SecretName: "db"}), ""},
		"no ConfigMap":        {ofMap(corev1.ConfigMapVolumeSource{LocalObjectReference: name("none")}), `configmap "none" not found`},
		"optional":            {ofMap(corev1.ConfigMapVolumeSource{LocalObjectReference: name("none"), Optional: &yes}), ""},
		"no Secret":           {ofSecret(corev1.SecretVolumeSource{SecretName: "none"}), `secret "none" not found`},
		"no key":              {ofSecret(corev1.SecretVolumeSource{SecretName: "db", Items: items("password", "salt")}), "secret references non-existent key: salt"},
		"optional key":        {ofSecret(corev1.SecretVolumeSource{SecretName: "db", Items: items("salt"), Optional: &yes}), ""},
		"projected, all":      {projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: name("db")}}, corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}), ""},
		"projected Secret":    {projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: name("none")}}), `secret "none" not found`},
		"projected ConfigMap": {projected(corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: name("conf"), Items: items("shape")}}), "configmap references non-existent key: shape"},
	} {
		s.Pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: tc.volume}}
		problems := Volumes(s)
		if tc.want == "" {
			require.Empty(t, problems, what)
			continue
		}
		require.Equal(t, []Problem{{ReasonFailedMount, `MountVolume.SetUp failed for volume "v" : ` + tc.want, true}}, problems, what)
	}
}
