package signature

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// enarmor is the reverse of dearmor.
func enarmor(typ string, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString(begin(typ) + "\n")
	if typ != armorSSH {
		b.WriteString("\n")
	}
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > 70 {
		b.WriteString(text[:70] + "\n")
		text = text[70:]
	}
	b.WriteString(text + "\n")
	if typ != armorSSH {
		b.WriteString(checksum(data) + "\n")
	}
	b.WriteString(end(typ) + "\n")
	return b.Bytes()
}

func TestDearmor(t *testing.T) {
	data := []byte("any bytes that fill more than one line of an armored block, which has seventy letters a line")
	for _, typ := range []string{armorSSH, armorPGP, armorKeys} {
		good := string(enarmor(typ, data))
		for name, text := range map[string]string{
			"as made":           good,
			"with CR":           strings.ReplaceAll(good, "\n", "\r\n"),
			"without a newline": strings.TrimSuffix(good, "\n"),
		} {
			if got, err := dearmor(text, typ); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s %s: %q, %v", typ, name, got, err)
			}
		}
		for name, text := range map[string]string{
			"empty":        "",
			"begin alone":  begin(typ),
			"no end":       strings.Replace(good, "-----END", "----END", 1),
			"before":       "x\n" + good,
			"after":        good + "x\n",
			"two":          good + good,
			"other type":   strings.ReplaceAll(good, typ, "X"),
			"not base64":   strings.Replace(good, "YW55", "YW5!", 1),
			"cut":          strings.Replace(good, "YW55", "YW5", 1),
			"wrong sum":    strings.Replace(good, "YW55", "YW56", 1),
			"bad sum":      strings.Replace(good, "\n=", "\n=A", 1),
			"spare bits":   begin(typ) + "\n\nYR==\n" + end(typ),
			"headers only": begin(typ) + "\nVersion: 1\n" + end(typ),
		} {
			if typ == armorSSH && (name == "wrong sum" || name == "bad sum") {
				continue // it has none
			}
			if got, err := dearmor(text, typ); err == nil {
				t.Errorf("%s %s: %q", typ, name, got)
			}
		}
	}
	with := strings.Replace(string(enarmor(armorPGP, data)), "\n\n", "\nVersion: GnuPG v2\nComment: x\n\n", 1)
	if got, err := dearmor(with, armorPGP); err != nil || !bytes.Equal(got, data) {
		t.Errorf("headers: %q, %v", got, err)
	}
	if _, err := dearmor(strings.Replace(with, "PGP SIGNATURE", armorSSH, 2), armorSSH); err == nil {
		t.Error("an SSH signature has no headers")
	}
}

// TestCRC uses the value in every description of CRC-24/OPENPGP, 21cf02.
func TestCRC(t *testing.T) {
	if got := checksum([]byte("123456789")); got != "=Ic8C" {
		t.Error(got)
	}
	block := begin(armorPGP) + "\n\n" + base64.StdEncoding.EncodeToString([]byte("123456789")) + "\n=Ic8C\n" + end(armorPGP)
	if got, err := dearmor(block, armorPGP); err != nil || string(got) != "123456789" {
		t.Errorf("%q, %v", got, err)
	}
	for _, sum := range []string{"=Ic8D", "=Ic8", "=", "==", "=Ic8C=", "=AAAA"} {
		if _, err := dearmor(strings.Replace(block, "=Ic8C", sum, 1), armorPGP); err == nil {
			t.Errorf("accepted %s", sum)
		}
	}
}
