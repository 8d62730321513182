package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

// The types of armor, as they stand in the BEGIN line.
const (
	armorSSH     = "SSH SIGNATURE"
	armorPGP     = "PGP SIGNATURE"
	armorMessage = "PGP MESSAGE"
	armorX509    = "SIGNED MESSAGE"
	armorKeys    = "PGP PUBLIC KEY BLOCK"
)

func begin(typ string) string { return "-----BEGIN " + typ + "-----" }
func end(typ string) string   { return "-----END " + typ + "-----" }

// format returns the kind of signature that git takes text for, by how it begins
// (get_format_by_sig in git's gpg-interface.c).
func format(text []byte) (typ string, ok bool) {
	for _, typ := range []string{armorPGP, armorMessage, armorSSH, armorX509} {
		if bytes.HasPrefix(text, []byte(begin(typ))) {
			return typ, true
		}
	}
	return "", false
}

// dearmor returns the content of one armored block of the type. Text must be the
// block, all of it: decoders that skip what they don't expect, as the libraries'
// do, would let two programs read two signatures. An OpenPGP block may have
// headers and a checksum (RFC 9580, section 6), which then must be right.
func dearmor(text, typ string) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(text, " \t\r\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\r")
	}
	if len(lines) < 2 || lines[0] != begin(typ) || lines[len(lines)-1] != end(typ) {
		return nil, errors.New("it is not one block from BEGIN to END")
	}
	lines = lines[1 : len(lines)-1]
	sum := ""
	if typ != armorSSH {
		var err error
		if lines, err = afterHeaders(lines); err != nil {
			return nil, err
		}
		if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], "=") {
			sum, lines = lines[n-1], lines[:n-1]
		}
	}
	data, err := base64.StdEncoding.Strict().DecodeString(strings.Join(lines, ""))
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	crc := binary.BigEndian.AppendUint32(nil, crc24(data))[1:]
	if sum != "" && sum != "="+base64.StdEncoding.EncodeToString(crc) {
		return nil, errors.New("its checksum is wrong")
	}
	return data, nil
}

// afterHeaders returns the lines after the headers and the blank line that ends
// them.
func afterHeaders(lines []string) ([]string, error) {
	for i, line := range lines {
		if line == "" {
			return lines[i+1:], nil
		}
		if !strings.Contains(line, ":") {
			break
		}
	}
	return nil, errors.New("it has no blank line before its content")
}

// crc24 is the checksum of RFC 9580, section 6.1.1.
func crc24(data []byte) uint32 {
	crc := uint32(0xb704ce)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return crc & 0xffffff
}
