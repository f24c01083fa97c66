// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The largest messages, in bytes. A machine takes no larger ones from its guest than vSphere's does. Its answers may be
// larger, since a value that was set from outside may be.
const (
	MaxRequest = 64 << 10
	MaxAnswer  = 8 << 20
)

// ReadFrame reads a message of at most limit bytes. The error is io.EOF if there is none, and io.ErrUnexpectedEOF if it is
// cut short. A message that is too long makes r useless: where the next one begins is not known.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if int64(size) > int64(limit) {
		return nil, fmt.Errorf("a message of %d bytes; at most %d are allowed", size, limit)
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(r, message); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return message, nil
}

// WriteFrame writes a message, in one piece.
func WriteFrame(w io.Writer, message []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(message)), uint32(len(message)))
	_, err := w.Write(append(frame, message...))
	return err
}
