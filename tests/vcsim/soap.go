// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
	vimxml "github.com/vmware/govmomi/vim25/xml"
)

// envelope is an answer of the vSphere API.
const envelope = xml.Header + `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ` +
	`xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
	`<soapenv:Body>%s</soapenv:Body></soapenv:Envelope>`

// giveFault makes the answer a SOAP fault, whose message names the rule.
func (a *answer) giveFault(rule string, fault types.BaseMethodFault) {
	kind := typeName(fault)
	detail := new(bytes.Buffer)
	err := vimxml.NewEncoder(detail).EncodeElement(fault, vimxml.StartElement{
		Name: vimxml.Name{Local: kind + "Fault"},
		Attr: []vimxml.Attr{
			{Name: vimxml.Name{Local: "xmlns"}, Value: "urn:" + vim25.Namespace},
			{Name: vimxml.Name{Local: "xsi:type"}, Value: kind},
		},
	})
	if err != nil {
		panic(err) // a type of the vSphere API can be encoded
	}
	message := new(bytes.Buffer)
	_ = xml.EscapeText(message, []byte(kind+", injected by "+rule)) // a buffer takes everything
	a.giveBody(http.StatusInternalServerError, fmt.Sprintf(
		`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring><detail>%s</detail></soapenv:Fault>`,
		message, detail))
}

// giveTask makes the answer that a method has begun a task.
func (a *answer) giveTask(method string, task types.ManagedObjectReference) {
	a.giveBody(http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:%s"><returnval type="Task">%s</returnval></%sResponse>`,
		method, vim25.Namespace, task.Value, method))
}

func (a *answer) giveBody(status int, body string) {
	a.Header().Set("Content-Type", "text/xml; charset=utf-8")
	a.give(status, fmt.Appendf(nil, envelope, body))
}
