//! Certificates as AWS's endpoints have them: RSA, a root, one in between, and the server's. Checking those costs a client a
//! tenth of what elliptic curves do, so measuring with others would measure something else.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use simulator::server::TestAuthority;

use crate::Result;

/// A test authority for one run, and the file that clients find its certificate in.
pub(crate) struct Authority {
    /// What servers present.
    pub(crate) tls: TestAuthority,
    folder: PathBuf,
}

impl Authority {
    /// Has OpenSSL make the keys and certificates: no crate that the simulator has makes RSA keys.
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("eks-break-glass-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
        let server =
            "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
        certificate(&folder, "root", "root", ca)?;
        certificate(&folder, "between", "root", ca)?;
        certificate(&folder, "server", "between", server)?;
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let chain = read("server.pem")? + &read("between.pem")?;
        Ok(Self { tls: TestAuthority::from_pem(&read("root.pem")?, &chain, &read("server.key")?)?, folder })
    }

    /// The root's certificate.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.join("root.pem")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Makes `name.key` and `name.pem`, signed by `issuer`, which may be itself.
fn certificate(folder: &Path, name: &str, issuer: &str, extensions: &str) -> Result<()> {
    std::fs::write(folder.join(format!("{name}.ext")), extensions)?;
    let subject = format!("/CN=eks-break-glass test {name}");
    openssl(
        folder,
        &format!("req -new -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr"),
        &["-subj", &subject],
    )?;
    let signer = if name == issuer {
        format!("-signkey {name}.key")
    } else {
        format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial")
    };
    openssl(
        folder,
        &format!("x509 -req -in {name}.csr {signer} -days 2 -sha256 -extfile {name}.ext -out {name}.pem"),
        &[],
    )
}

fn openssl(folder: &Path, arguments: &str, more: &[&str]) -> Result<()> {
    let made = Command::new("openssl")
        .args(arguments.split(' '))
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run `openssl`: {error}; install it"))?;
    if made.status.success() {
        return Ok(());
    }
    std::io::stderr().write_all(&made.stderr)?;
    Err("`openssl` did not make the certificates".into())
}
