package signature

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
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

// format returns the kind of signature that a text begins as, empty for none
// (get_format_by_sig in git's gpg-interface.c).
func format(text []byte) string {
	for _, typ := range []string{armorPGP, armorMessage, armorSSH, armorX509} {
		if bytes.HasPrefix(text, []byte(begin(typ))) {
			return typ
		}
	}
	return ""
}

// dearmor returns the content of one armored block of the type. Text must be the
// block, all of it: decoders that skip what they don't expect, as the libraries'
// do, would let two programs read two signatures. An OpenPGP block may have
// headers and a checksum (RFC 9580, section 6), which then must be right.
func dearmor(text, typ string) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(text, blanks+"\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, blanks)
	}
	if len(lines) < 2 || lines[0] != begin(typ) || lines[len(lines)-1] != end(typ) {
		return nil, errors.New("it is not one block from BEGIN to END")
	}
	lines = lines[1 : len(lines)-1]
	sum := ""
	if typ != armorSSH {
		blank := slices.IndexFunc(lines, func(line string) bool { return !strings.Contains(line, ":") })
		if blank < 0 || lines[blank] != "" {
			return nil, errors.New("it has no blank line before its content")
		}
		lines = lines[blank+1:]
		if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], "=") {
			sum, lines = lines[n-1], lines[:n-1]
		}
	}
	data, err := base64.StdEncoding.Strict().DecodeString(strings.Join(lines, ""))
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	if sum != "" && sum != checksum(data) {
		return nil, errors.New("its checksum is wrong")
	}
	return data, nil
}

// checksum returns the line with the checksum of RFC 9580, section 6.1, which the
// library writes but doesn't check.
func checksum(data []byte) string {
	var block bytes.Buffer
	if w, err := armor.Encode(&block, armorPGP, nil); err == nil {
		w.Write(data)
		w.Close()
	}
	lines := strings.Split(block.String(), "\n")
	return lines[len(lines)-2]
}
