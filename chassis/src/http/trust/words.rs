//! What the page says, in each language. A device's own words are given as it shows them.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::super::language;

/// A device, and its steps.
pub(super) type Steps = (&'static str, &'static [&'static str]);

/// The page's texts.
pub(super) struct Words {
    pub(super) lang: &'static str,
    pub(super) title: &'static str,
    pub(super) why: &'static str,
    pub(super) load: &'static str,
    /// Before the fingerprint.
    pub(super) compare: &'static str,
    /// Before the link that the code leads to.
    pub(super) on_phone: &'static str,
    /// What the code is, for who does not see it; before the link.
    pub(super) code: &'static str,
    pub(super) devices: &'static [Steps],
}

const ALL: [&Words; 2] = [&EN, &ES];

impl Words {
    /// In the language that a client asks for; English where it asks for none that there is.
    pub(super) fn asked(headers: &HeaderMap) -> &'static Self {
        let said = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        ALL[language::accepted(said, &ALL.map(|words| words.lang)).unwrap_or(0)]
    }
}

const EN: Words = Words {
    lang: "en",
    title: "Trust this site",
    why: "What is sent to this site is encrypted, and the site vouches for itself. A device believes that once it has the site's \
          certificate, which vouches for local networks and this site's own names only.",
    load: "Load the certificate",
    compare: "Its fingerprint (SHA-256). Compare it with what the device shows, or with what the person tells you who looks after the site:",
    on_phone: "On a phone, open",
    code: "QR code that opens",
    devices: &[
        (
            "iPhone, iPad",
            &[
                "Load the certificate in Safari and choose Allow.",
                "Settings, General, VPN & Device Management: choose the downloaded profile, Install.",
                "Settings, General, About, Certificate Trust Settings: switch it on.",
            ],
        ),
        (
            "Android",
            &[
                "Load the certificate.",
                "Settings, Security & privacy, More security & privacy, Encryption & credentials, Install a certificate, CA certificate, \
                 Install anyway. On some phones it is found by searching the settings for “CA certificate”.",
                "Choose the file that was loaded.",
            ],
        ),
        (
            "Windows (Edge, Chrome)",
            &[
                "Load the certificate and open the file: Install Certificate.",
                "Local Machine, then “Place all certificates in the following store”: Trusted Root Certification Authorities.",
                "Close the browser and open it again.",
            ],
        ),
        (
            "macOS (Safari, Chrome)",
            &[
                "Load the certificate and open the file: it is added to Keychain Access.",
                "Open it there, Trust, When using this certificate: Always Trust.",
            ],
        ),
        (
            "ChromeOS, Chrome on Linux",
            &[
                "Load the certificate.",
                "Settings, Privacy and security, Security, Manage certificates, Custom (or Authorities): Import.",
                "Choose the file, and trust it for identifying websites.",
            ],
        ),
        (
            "Firefox",
            &[
                "On Windows and macOS it goes by the steps above. Else load the certificate; where Firefox asks, go on with the last step.",
                "Settings, Privacy & Security, View Certificates, Authorities, Import: choose the file.",
                "“Trust this CA to identify websites”, OK.",
            ],
        ),
    ],
};

const ES: Words = Words {
    lang: "es",
    title: "Confiar en este sitio",
    why: "Lo que se envía a este sitio va cifrado, y el sitio responde por sí mismo. Un dispositivo lo cree en cuanto tiene el certificado \
          del sitio, que solo responde por redes locales y por los nombres propios de este sitio.",
    load: "Descargar el certificado",
    compare: "Su huella digital (SHA-256). Compárela con la que muestra el dispositivo o con la que le diga la persona que atiende el sitio:",
    on_phone: "En un teléfono, abra",
    code: "Código QR que abre",
    devices: &[
        (
            "iPhone, iPad",
            &[
                "Descargue el certificado en Safari y elija Permitir.",
                "Ajustes, General, VPN y gestión de dispositivos: elija el perfil descargado, Instalar.",
                "Ajustes, General, Información, Ajustes de confianza de los certificados: actívelo.",
            ],
        ),
        (
            "Android",
            &[
                "Descargue el certificado.",
                "Ajustes, Seguridad y privacidad, Más ajustes de seguridad y privacidad, Cifrado y credenciales, Instalar un certificado, \
                 Certificado de CA, Instalar de todos modos. En algunos teléfonos se encuentra al buscar «certificado de CA» en los ajustes.",
                "Elija el archivo descargado.",
            ],
        ),
        (
            "Windows (Edge, Chrome)",
            &[
                "Descargue el certificado y abra el archivo: Instalar certificado.",
                "Equipo local y después «Colocar todos los certificados en el siguiente almacén»: Entidades de certificación raíz de confianza.",
                "Cierre el navegador y ábralo de nuevo.",
            ],
        ),
        (
            "macOS (Safari, Chrome)",
            &[
                "Descargue el certificado y abra el archivo: se añade a Acceso a Llaveros.",
                "Ábralo allí, Confiar, Al utilizar este certificado: Confiar siempre.",
            ],
        ),
        (
            "ChromeOS, Chrome en Linux",
            &[
                "Descargue el certificado.",
                "Configuración, Privacidad y seguridad, Seguridad, Gestionar certificados, Personalizados (o Autoridades): Importar.",
                "Elija el archivo y confíe en él para identificar sitios web.",
            ],
        ),
        (
            "Firefox",
            &[
                "En Windows y macOS valen los pasos de arriba. Si no, descargue el certificado; si Firefox pregunta, siga con el último paso.",
                "Ajustes, Privacidad y seguridad, Ver certificados, Autoridades, Importar: elija el archivo.",
                "«Confiar en esta CA para identificar sitios web», Aceptar.",
            ],
        ),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn both_languages_have_the_same_devices_and_steps_and_who_asks_for_neither_gets_english() {
        let shape = |words: &Words| words.devices.iter().map(|(_, steps)| steps.len()).collect::<Vec<_>>();
        assert_eq!(shape(&EN), shape(&ES));
        let asked =
            |said| Words::asked(&HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(said))])).lang;
        assert_eq!([asked("es-MX,en;q=0.5"), asked("de"), asked("en-US,es;q=0.1")], ["es", "en", "en"]);
        assert_eq!(Words::asked(&HeaderMap::new()).lang, "en");
    }
}
